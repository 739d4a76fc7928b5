"""A library that starts a thread when it is imported: a warm parent must not fork beside it."""

import threading

threading.Thread(target=threading.Event().wait, daemon=True).start()
