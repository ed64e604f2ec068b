package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"amtmedic/amt/provision"
	"amtmedic/amt/store"
)

// serverName is that of this process among the servers of a database: what people need to find it, and
// something that no other process ever has.
func serverName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	return fmt.Sprintf("%s-%d-%06x", host, os.Getpid(), rand.N(1<<24))
}

// abortAfter is when a server that is to end no longer waits for a database that does not answer.
const abortAfter = 7 * time.Second

// together has a server be one of several on its database: it is seen by the others, and woken by what
// they put into the queue. The function that it gives says farewell, after the last session.
func (o serveOptions) together(e *env, st *store.Store, log *slog.Logger, name, address string, sessions func() int, wake func()) (end func()) {
	host, _ := os.Hostname()
	p := provision.Presence{Store: st, Sessions: sessions, Wake: wake, Log: log,
		Row: store.ServerRow{Name: name, Host: host, Process: os.Getpid(), Version: version, Address: address, Within: *o.lease}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.ctx))
	stay := context.AfterFunc(e.ctx, func() { time.AfterFunc(abortAfter, st.Abort) })
	var wg sync.WaitGroup
	wg.Go(func() { p.Run(ctx) })
	wg.Go(func() {
		st.Listen(ctx, wake, func(err error) {
			log.Debug("other servers are not heard for a moment; the queue is looked at every second all the same", "err", err)
		})
	})
	return func() {
		stay()
		cancel()
		wg.Wait()
	}
}
