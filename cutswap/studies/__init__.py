"""The paper's tables, repeated cell by cell."""
