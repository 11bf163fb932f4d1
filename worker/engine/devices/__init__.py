"""The devices that pictures are made on: a module each, behind `device.Device`; `registry` knows them all."""
