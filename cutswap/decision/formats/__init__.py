"""Other forms of an exported detector: a page for the browser, and what it runs on."""
