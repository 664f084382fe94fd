"""Grading: from a problem and a completion's text to a record of named, weighted parts."""
