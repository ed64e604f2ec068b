//go:build linux || (windows && amd64)

package capture

import "context"

// onStop calls f when ctx ends. The function that it gives must be called when f has lost its object:
// it waits for a call of f that has begun.
func onStop(ctx context.Context, f func()) (wait func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		f()
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}
