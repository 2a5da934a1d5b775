"""Protocol buffers that p4esp serves or speaks, and the code generated from them."""
