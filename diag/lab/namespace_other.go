//go:build !linux

package lab

// needsNamespaces says that network namespaces are missing here.
func needsNamespaces() string { return "Linux, root and the programs ip and nft" }
