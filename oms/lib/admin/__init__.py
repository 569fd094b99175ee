"""What every admin page shares: read-only records, keyset lists, dialogs that call a service, formats.

No business words: an app's own `admin` says what is shown and which service an action calls.
"""
