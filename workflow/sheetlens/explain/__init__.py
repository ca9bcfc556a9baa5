"""Attribution maps: where on a sheet the network looks."""
