"""The table of pages and actions: a row for each, in a module for each subject."""
