"""Two gateways in this process that seal and open every ESP format: what `p4esp formats` measures.

    site 10.1.0.0/16 - ports 0..3 - sealing gateway - port 8 ~ port 8 - opening gateway - port 0 -
    site 10.2.0.0/16

The program is the committed one, the engine the product's; entries are written by the names in the
program, without a controller.
"""
