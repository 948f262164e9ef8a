"""What a result looks like: pictures, pages, the report."""
