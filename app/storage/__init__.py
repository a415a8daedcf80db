"""The gallery's database and files."""
