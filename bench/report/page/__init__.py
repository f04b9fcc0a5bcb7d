"""The page, the Markdown and the audit's page, drawn from sections by templates."""
