package device

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// FuzzAnswer: whatever a client answers, a call ends with an answer or an *Error, keeps little of it,
// and tells no secret.
func FuzzAnswer(f *testing.F) {
	ok := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(stateAnswer), stateAnswer)
	for _, s := range []string{"", ok, ok[:60], "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "HTTP/1.0 200 OK\r\n\r\n" + stateAnswer,
		"HTTP/1.1 401 Unauthorized\r\n" + fmt.Sprintf(challenge, "n", true) + "Content-Length: 0\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", "\x15\x03\x01\x00\x02\x02\x28",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n\r\nGeh3im-Wort", strings.Repeat(ok, 3)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		dial := func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer func() { _ = theirs.Close() }()
				in := bufio.NewReader(theirs)
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = theirs.Write(data)
			}()
			return ours, nil
		}
		s := Open(Options{Address: "client:16992", Dial: dial, Logins: []Login{admin("Geh3im-Wort"), admin("x")}})
		defer func() { _ = s.Close() }()
		d := NewWSMan(s)
		for range 2 {
			st, err := d.State(ctx)
			if err == nil {
				if st.Provisioning.String() == "" {
					t.Error("a state without a word")
				}
				continue
			}
			var e *Error
			if !errors.As(err, &e) || e.Kind == "" || len(e.Evidence) > maxEvidence {
				t.Fatalf("%+v", err)
			}
			if strings.Contains(string(e.Evidence), "Geh3im-Wort") {
				t.Fatalf("a secret in %q", e.Evidence)
			}
		}
		if n := s.Stats().Connections; n > 12 {
			t.Errorf("%d connections for two calls", n)
		}
	})
}
