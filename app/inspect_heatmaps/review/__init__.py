"""All scored photos for people who decide: contact sheet, kept photos, report."""
