package main

import "time"

// stopLimit is how long the manager of services waits for the orderly end of serve.
const stopLimit = 15 * time.Second

// startLook is how long a service may fail before the manager is told that it runs: a port that is taken,
// or a database that cannot be opened, is then a start that failed.
const startLook = time.Second
