//go:build !linux

package lab

import "context"

// settle finds the network that the world lives in: addresses of this machine.
func (w *World) settle(ctx, _ context.Context) error { return w.settleHere(ctx) }
