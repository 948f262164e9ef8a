"""What everything else stands on: checked input, signals, control, memory, files, wording, provenance."""
