"""Knows BPMN, knows no student: graph, reader, checks, expressions, forms, and the one door to SpiffWorkflow."""
