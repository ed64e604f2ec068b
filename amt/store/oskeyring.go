package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	oskeyring "github.com/zalando/go-keyring"
)

// The keyring of the operating system: Windows Credential Manager, the keychain of macOS, the Secret
// Service of a Linux desktop. A database keeps the name of its entry there, the entry holds the
// key-encryption key as 64 hexadecimal digits.

// ErrNoKeyring is an ErrKey: there is no keyring here, it is locked, or it does not have the entry.
var ErrNoKeyring error = &kind{"the keyring of this account does not give it", ErrKey}

const (
	keyringService = "amtmedic"
	entryPrefix    = "core database "
	entryID        = 16 // random bytes of an entry's name
)

// keyringTime bounds how long the keyring may take: it may ask the person at the screen.
const keyringTime = time.Minute

// entryForm reports whether a text can be the name of an entry.
func entryForm(name string) bool {
	id, ok := strings.CutPrefix(name, entryPrefix)
	b, err := hex.DecodeString(id)
	return ok && err == nil && len(b) == entryID
}

// newKeyringEntry makes a key and keeps it under a new name. It is read back: a keyring that forgets
// must not become the only place of a key.
func newKeyringEntry(ctx context.Context) (entry string, key []byte, err error) {
	id := make([]byte, entryID)
	key = make([]byte, keySize)
	if _, err := rand.Read(id); err != nil {
		return "", nil, err
	}
	if _, err := rand.Read(key); err != nil {
		return "", nil, err
	}
	entry = entryPrefix + hex.EncodeToString(id)
	if _, err := askKeyring(ctx, func() (string, error) {
		return "", oskeyring.Set(keyringService, entry, hex.EncodeToString(key))
	}); err != nil {
		return "", nil, err
	}
	back, err := readKeyring(ctx, entry)
	if err == nil && string(back) != string(key) {
		err = fmt.Errorf("%w: it gave back another key than it was given", ErrNoKeyring)
	}
	return entry, key, err
}

// readKeyring gives the key of an entry.
func readKeyring(ctx context.Context, entry string) ([]byte, error) {
	text, err := askKeyring(ctx, func() (string, error) { return oskeyring.Get(keyringService, entry) })
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("%w: its entry %q holds something else", ErrNoKeyring, entry)
	}
	return key, nil
}

// dropFromKeyring removes an entry; one that is not there is no error.
func dropFromKeyring(ctx context.Context, entry string) error {
	_, err := askKeyring(ctx, func() (string, error) {
		err := oskeyring.Delete(keyringService, entry)
		if errors.Is(err, oskeyring.ErrNotFound) {
			return "", nil
		}
		return "", err
	})
	return err
}

// askKeyring bounds a call that may wait for a person; one that goes on then ends with the process. What
// the library says never holds the value.
func askKeyring(ctx context.Context, fn func() (string, error)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, keyringTime)
	defer cancel()
	type answer struct {
		text string
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		text, err := fn()
		done <- answer{text, err}
	}()
	select {
	case a := <-done:
		if errors.Is(a.err, exec.ErrNotFound) { // the library looked for a program that begins a session
			return "", fmt.Errorf("%w: no Secret Service runs in this session", ErrNoKeyring)
		}
		if a.err != nil {
			return "", fmt.Errorf("%w: %w", ErrNoKeyring, a.err)
		}
		return a.text, nil
	case <-ctx.Done():
		return "", fmt.Errorf("%w: no answer: %w", ErrNoKeyring, ctx.Err())
	}
}
