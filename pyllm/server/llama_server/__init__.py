"""llama-server's own routes, for editors, balancers and scripts that speak them."""
