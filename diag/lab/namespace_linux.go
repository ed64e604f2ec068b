package lab

import (
	"os"
	"os/exec"
	"strings"
)

// needsNamespaces says what is missing to build a network with a packet filter in it.
func needsNamespaces() string {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, p := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, "the program "+p)
		}
	}
	return strings.Join(missing, ", ")
}
