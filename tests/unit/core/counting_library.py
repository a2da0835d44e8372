"""An array library for tests of the core: its arrays know their number, and every transfer is counted."""

from onlooker.core.logs import DeviceValue


class Array:
    """A number that claims to be on a device."""

    def __init__(self, number, place="device 0", is_on_device=True, size=1):
        self.number = number
        self.place = place
        self.on_device = is_on_device
        self.shape = () if size == 1 else (size,)
        self.dtype = "number"

    def __add__(self, number):
        return Array(self.number + number, self.place)


class CountingLibrary:
    """What `ArrayLibrary` asks for. `transfers` holds, for each fetch, how many numbers came together."""

    def __init__(self):
        self.transfers = []

    def find(self, kind):
        return self if self.has_type(kind) else None

    def has_type(self, kind):
        return issubclass(kind, Array)

    def read(self, array):
        if array.shape:
            raise ValueError("it has several elements")
        return None if array.on_device else float(array.number)

    def snapshot(self, array):
        if array.shape:
            raise RuntimeError("it has several elements")
        return Array(array.number, array.place)

    def add(self, total, array, weight):
        return Array(total.number + array.number * weight, total.place)

    def add_all(self, total, arrays, weights):
        for array, weight in zip(arrays, weights, strict=True):
            total = self.add(total if isinstance(total, Array) else Array(total, array.place), array, weight)
        return total

    def can_stay(self, array):
        return False

    def is_gone(self, array):
        return False

    def device(self, array):
        return array.place

    def fetch(self, arrays):
        assert len({array.place for array in arrays}) == 1
        self.transfers.append(len(arrays))
        return [float(array.number) for array in arrays]

    def value(self, number, place="device 0", divisor=1.0):
        return DeviceValue(self, Array(number, place), divisor)
