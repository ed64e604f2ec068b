package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestSimActivatedByMeshCentral: MeshCentral's own modules hear the hello, activate the client and
// log in afterwards. AMTMEDIC_MESHCENTRAL names the folder of its npm package, with its dependencies
// beside it; without that the test is left out, in CI too.
func TestSimActivatedByMeshCentral(t *testing.T) {
	module := os.Getenv("AMTMEDIC_MESHCENTRAL")
	if module == "" {
		t.Skip("AMTMEDIC_MESHCENTRAL does not name MeshCentral's npm package")
	}
	root, _ := provisioningChain(t, "provisionserver.corp.example")
	for _, version := range []string{"9.0", "12.0", "16.1"} {
		t.Run(version, func(t *testing.T) {
			port := freePort(t)
			bench := exec.Command("node", filepath.Join("testdata", "meshcentral", "bench.js"), module, filepath.Dir(root), "provisionserver.corp.example", fmt.Sprint(port))
			bench.Env = append(os.Environ(), map[bool]string{true: "SECLEVEL0=1", false: "SECLEVEL0="}[version == "9.0"])
			var log safeBuffer
			bench.Stdout, bench.Stderr = &log, &log
			if err := bench.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				_ = bench.Wait()
				close(ended)
			}()
			t.Cleanup(func() {
				_ = bench.Process.Kill()
				<-ended
			})
			s := startSim(t, nil, 1, "--method", "pki", "--amt-version", version, "--trust", root, "--suffix", "corp.example", "--json",
				"--address", simAddress(t), "--to", fmt.Sprintf("127.0.0.1:%d", port), "--fast", "--keep")
			select {
			case <-ended:
			case <-time.After(60 * time.Second):
			}
			plain := "AFTERWARDS port 16992 status 200 mode 2 qop auth-int"
			if version == "16.1" {
				plain = "AFTERWARDS port 16992 status 408" // it is closed
			}
			want(t, log.String(), "Succesful TLS connection, Intel AMT v"+version+".0", "Intel AMT ACM activation completed", "AFTERWARDS port 16993 status 200 mode 2 qop auth-int", plain)
			if s.states(t) != "in post" {
				t.Errorf("states %s: %s", s.states(t), s.stderr.String())
			}
		})
	}
}
