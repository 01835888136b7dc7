"""The operations of pages: what each shows or does, a module for each subject."""
