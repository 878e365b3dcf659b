"""report.html: one self-contained file, of training and evaluation or of an inspection."""
