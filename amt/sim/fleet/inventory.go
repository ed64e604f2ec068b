package fleet

import (
	"encoding/csv"
	"io"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/sim"
	"amtmedic/amt/sim/engine"
)

// File is one file of an inventory. Write writes it; it holds secrets.
type File struct {
	Name  string
	Write func(io.Writer) error
}

// Inventory gives what a setup server and a test need to know of the clients: their pairs, their
// names, and themselves with the log-in as it was at the start; with OTP also what their agents planted.
func (f *Fleet) Inventory() []File {
	files := []File{{"keys.csv", f.writeKeys}, {"map.csv", f.writeMap}, {"clients.csv", f.writeClients}}
	if f.cfg.OTP {
		files = append([]File{{"otp.csv", f.writeOTPs}}, files...)
	}
	return files
}

// writeOTPs writes what the agents planted.
func (f *Fleet) writeOTPs(w io.Writer) error {
	return table(w, "uuid,otp", f.members, func(m *Client) []string { return []string{m.UUID.String(), m.OTP.Reveal()} })
}

// writeKeys writes the pairs. The current password is that of the factory, which the one of the
// administrator replaced when the pair was entered.
func (f *Fleet) writeKeys(w io.Writer) error {
	var rows []keys.Row
	for i, m := range f.members {
		if m.Pair.PID == "" {
			continue
		}
		rows = append(rows, keys.Row{Pair: m.Pair, ID: f.firstKey + int64(i), CurrentPassword: amt.NewSecret(sim.FactoryPassword), AdminPassword: m.Password, Used: f.cfg.Stage == engine.Post})
	}
	return keys.WriteCSV(w, rows)
}

func (f *Fleet) writeMap(w io.Writer) error {
	return table(w, "uuid,fqdn,profile", f.members, func(m *Client) []string { return []string{m.UUID.String(), m.FQDN, "default"} })
}

func (f *Fleet) writeClients(w io.Writer) error {
	return table(w, "uuid,address,method,amt_version,state,pid,user,password", f.members, func(m *Client) []string {
		return []string{m.UUID.String(), m.Address.String(), string(f.cfg.Method), f.cfg.Version.String(), string(f.cfg.Stage), string(m.Pair.PID), User, m.Password.Reveal()}
	})
}

func table(w io.Writer, header string, of []*Client, line func(*Client) []string) error {
	if _, err := io.WriteString(w, header+"\n"); err != nil {
		return err
	}
	cw := csv.NewWriter(w)
	for _, m := range of {
		if err := cw.Write(line(m)); err != nil {
			return err
		}
	}
	cw.Flush()
	return cw.Error()
}
