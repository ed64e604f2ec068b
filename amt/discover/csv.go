package discover

import (
	"strconv"
	"strings"
)

// CSVHeader names the columns of CSVRow.
func CSVHeader() []string {
	return []string{"host", "amt_version", "state", "address", "ports", "ping", "tls", "server"}
}

// CSVRow gives the host as fields of a CSV line. The header Server is as the host sent it: clean it
// before it reaches a terminal.
func (h *Host) CSVRow() []string {
	return []string{h.Host, h.AMTVersion, h.State, h.Address, h.PortWords(), strconv.FormatBool(h.Ping), h.TLS, h.Server}
}

// PortWords gives the open ports with spaces between them.
func (h *Host) PortWords() string {
	var out []string
	for _, p := range h.Ports {
		out = append(out, strconv.Itoa(p))
	}
	return strings.Join(out, " ")
}
