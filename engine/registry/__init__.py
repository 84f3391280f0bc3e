"""What is known about students, schools and authorities."""
