package discover

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"

	"amtmedic/amt"
)

// maxHead is the most that is read of an answer, in bytes.
const maxHead = 16 << 10

// products are how firmware calls itself in the header Server. AMT 11 may say AMT alone.
var products = []string{"Intel(R) Active Management Technology", "Intel(R) Standard Manageability", "Intel(R) Small Business Technology",
	"Con. Management Engine", "AMT"}

var versionAtEnd = regexp.MustCompile(`^\s+v?(\d{1,5}(?:\.\d{1,5}){1,3})\b`)

// ReadServer reads the head of an HTTP answer up to its empty line and gives the header Server; empty
// when there is none. It reads at most maxHead bytes. What is no HTTP is an error.
func ReadServer(r io.Reader) (string, error) {
	br := bufio.NewReaderSize(io.LimitReader(r, maxHead), 4096)
	line, err := br.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return "", errors.New("the answer is no HTTP")
	}
	server := ""
	for {
		line, err := br.ReadSlice('\n')
		text := strings.TrimRight(string(line), "\r\n")
		if name, value, ok := strings.Cut(text, ":"); ok && err == nil && server == "" && strings.EqualFold(strings.TrimSpace(name), "server") {
			server = strings.TrimSpace(value)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull): // a line that is too long is skipped
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = br.ReadSlice('\n')
			}
			if err != nil {
				return server, nil
			}
		case err != nil, text == "":
			return server, nil
		}
	}
}

// ParseServer reads a header Server: is it that of AMT, and which version does it name? The version
// is zero when the header has none.
func ParseServer(s string) (v amt.Version, ok bool) {
	for _, p := range products {
		rest, found := strings.CutPrefix(s, p)
		if !found || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
			continue
		}
		if m := versionAtEnd.FindStringSubmatch(rest); m != nil {
			v, _ = amt.ParseVersion(m[1])
			return v, true
		}
		return v, p != "AMT" || strings.TrimSpace(rest) == ""
	}
	return v, false
}
