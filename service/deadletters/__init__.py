"""Messages that could not be read or delivered: kept, shown, and put back or settled by somebody."""
