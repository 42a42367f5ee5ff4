"""What the taps share: reading an HTTP API well, and turning its records into rows.

It never names a CRM. A tap is a `Tap` with `Stream` classes, a `Client`, and field tables.
"""
