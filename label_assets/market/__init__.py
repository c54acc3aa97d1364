"""The trading session, the ladder of granularities and the rules that candles must keep."""
