"""The embedded switch: a v1model target that runs bmv2 JSON as specialised Python.

``device.Device`` is the way in; ``entries`` and ``program`` are what its users speak of, ``trace``
tells one packet's way.  Inside, ``loader`` turns JSON into ``ir``, ``codegen`` turns that into one
function, and ``runtime`` holds the state the function works on.
"""
