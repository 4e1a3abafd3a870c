"""Numpy arrays that come out of a message: each owns its memory, as if numpy had made it, so that resize() works.

numpy pickles an array by protocol 5 as a call of its function _frombuffer, which makes a view of the buffer that came out
of band: the view does not own it. Here the buffer is an array of bytes that numpy has made, and the call gives it the
type, shape and order of the array that was sent. The bytes are not copied again. C calls this module.
"""
import io
import pickle

import numpy


def new(size):
    return numpy.empty(size, numpy.uint8)


def loads(data, buffers, again):
    if again:
        buffers = [copy(buffer) for buffer in buffers]
    return Unpickler(io.BytesIO(data), buffers=buffers).load()


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if name == "_frombuffer" and module in ("numpy.core.numeric", "numpy._core.numeric"):
            return array_of
        return super().find_class(module, name)


def array_of(buffer, dtype, shape, order):
    if type(buffer) is numpy.ndarray:
        try:
            buffer.dtype = dtype
            if order == "F" and len(shape) > 1:
                strides = [dtype.itemsize]
                for length in shape[:-1]:
                    strides.append(strides[-1] * length)
                buffer.shape = shape
                buffer.strides = strides
            else:
                buffer.shape = shape
            return buffer
        except (TypeError, ValueError, AttributeError):  # a type that cannot be given, or a numpy that no longer allows it
            pass
    return numpy.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


def copy(buffer):
    if type(buffer) is numpy.ndarray:
        return buffer.ravel(order="K").view(numpy.uint8).copy()
    return bytearray(buffer) if type(buffer) is bytearray else buffer
