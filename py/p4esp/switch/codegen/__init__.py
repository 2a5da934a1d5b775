"""The Python back end: ``ir.Program`` to the source of one specialised function.

``structure`` turns graphs into nested code, ``layout`` says how headers are taken apart and put
together, ``values`` and ``facts`` know what can be decided now, the other modules write code for
one part of the program each, ``pipeline`` joins them, ``liveness`` removes what proved needless.
"""
