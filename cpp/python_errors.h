// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "core/error.h"

#include <pybind11/pybind11.h>

namespace egraff {

// Makes a module raise egraff::Error as the Python error with the same parts: ModelFileError where
// it names a file, else InputError.
inline void translate_errors() {
    namespace py = pybind11;
    py::register_local_exception_translator([](std::exception_ptr pointer) {
        try {
            if (pointer) {
                std::rethrow_exception(pointer);
            }
        } catch (const Error &error) {
            // file names, and what stands in damaged files, need not be UTF-8
            const auto text = [](const std::string &part) {
                return part.empty() ? py::object(py::none())
                                    : py::reinterpret_steal<py::object>(PyUnicode_DecodeUTF8(
                                          part.data(), Py_ssize_t(part.size()), "replace"));
            };
            const py::object type =
                py::module_::import("egraff.errors")
                    .attr(error.place.where.empty() ? "InputError" : "ModelFileError");
            const py::object instance =
                type(text(error.problem), py::arg("where") = text(error.place.where),
                     py::arg("field") = text(error.place.field), py::arg("fix") = text(error.fix));
            PyErr_SetObject(type.ptr(), instance.ptr());
        }
    });
}

} // namespace egraff
