"""What differs between two procedures, for whom, and where each of them says so. Pure: no database, no clock."""
