"""The engine: the processes of a local cluster and the sockets between them."""
