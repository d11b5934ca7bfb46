/* Loaded before torch: its autograd engine asks which accelerator's streams to follow. There are none to follow. */
short _ZN2at11accelerator14getAcceleratorEb(_Bool checked) { return 0; }
_Bool _ZN2at11accelerator13isAcceleratorEN3c1010DeviceTypeE(signed char kind) { return 0; }
