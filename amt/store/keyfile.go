package store

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

const keyHead = "# amtmedic key file. Whoever has it and the database can read every PPS and password in it."

// readKeyFile reads keys of 64 hexadecimal digits, a line each; lines that begin with # are comments.
// There is one, but for the moment in which it is exchanged: then the database tells which of them is
// its own.
func readKeyFile(file string) ([][]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others than its owner may read it (mode %04o)", info.Mode().Perm())
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	sc := bufio.NewScanner(bytes.NewReader(raw))
	for sc.Scan() {
		line := strings.TrimSpace(sc.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := hex.DecodeString(line)
		if err != nil || len(key) != keySize {
			return nil, errors.New("it holds a line that is no key of 64 hexadecimal digits")
		}
		out = append(out, key)
	}
	if len(out) == 0 || sc.Err() != nil {
		return nil, errors.New("it holds no key of 64 hexadecimal digits")
	}
	return out, nil
}

// keyFileText is the content of a key file.
func keyFileText(keys [][]byte) []byte {
	b := bytes.NewBufferString(keyHead + "\n")
	for _, k := range keys {
		fmt.Fprintf(b, "%x\n", k)
	}
	return b.Bytes()
}

// makeKeyFile makes a new key with owner-only rights. Two programs that do so at once end with the
// same key: the file appears complete under its name, once.
func makeKeyFile(file string) ([][]byte, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	tmp, err := writeBeside(file, keyFileText([][]byte{key}))
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(tmp) }()
	if err := publish(tmp, file); err != nil {
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		return readKeyFile(file)
	}
	return [][]byte{key}, syncFolder(file)
}

// changeKeyFile gives a key file new content in one step. Its owner is that of like, another key file or
// itself: root may change the key of a service that runs without rights.
func changeKeyFile(file string, keys [][]byte, like string) error {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	tmp, err := writeBeside(file, keyFileText(keys))
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp) }()
	if err := giveAs(tmp, like); err != nil {
		return err
	}
	if err := os.Rename(tmp, file); err != nil {
		return err
	}
	return syncFolder(file)
}

// giveAs makes the owner of like, where there is such a file, the owner of file.
func giveAs(file, like string) error {
	info, err := os.Stat(like)
	if err != nil {
		return nil
	}
	return giveTo(file, info)
}

// writeBeside writes a file with mode 0600 and a passing name into the folder of file.
func writeBeside(file string, text []byte) (string, error) {
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".new-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		_ = os.Remove(tmp.Name())
		return "", err
	}
	return tmp.Name(), nil
}

// publish gives a file its final name unless that name is taken. File systems without hard links
// get a copy that is made exclusively.
func publish(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	return errors.Join(err, f.Sync(), f.Close())
}
