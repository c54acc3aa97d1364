"""What a file is: format, granularity, span, faults and the clock of its stamps, with the evidence."""
