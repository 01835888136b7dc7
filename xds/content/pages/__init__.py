"""Documents as pages of HTML that are safe to open: own markup only, no script, nothing fetched."""
