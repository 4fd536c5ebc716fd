"""QuoteKit: the shared layer.

Importing a door makes a hundred thousand objects that stay for good; collecting garbage in between
finds none and takes a tenth of the cold start. `performance.record` lets the collector work again.
"""

import gc

gc.disable()
