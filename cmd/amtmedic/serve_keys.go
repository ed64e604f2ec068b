package main

import (
	"context"
	"log/slog"
	"time"

	"amtmedic/amt/store"
)

// watchKeys has the server take up data keys that "amtmedic db rotate-data-key" makes, until stop is called.
func watchKeys(ctx context.Context, st *store.Store, log *slog.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		st.WatchKeys(ctx, time.Second, func(key uint32, err error) {
			if err != nil {
				log.Error("a new data key cannot be taken up: secrets can be neither read nor written", "key", key, "err", err)
				return
			}
			log.Info("a new data key is in use", "key", key)
		})
	}()
	return func() { cancel(); <-done }
}
