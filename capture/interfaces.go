package capture

import (
	"net"
	"strings"
)

// interfaceHint lists what could have been meant.
func interfaceHint() string {
	all, err := net.Interfaces()
	if err != nil || len(all) == 0 {
		return "no interface can be listed on this machine"
	}
	names := make([]string, len(all))
	for i, d := range all {
		names[i] = d.Name
	}
	return "interfaces here: " + strings.Join(names, ", ")
}
