"""How we reach a node: connections, host keys, commands, files, tunnels, audit."""
