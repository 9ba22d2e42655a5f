// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff._model_file: model files as LAMMPS reads them, for Python, without torch, which takes
// seconds to import.
#include "core/foreign.h"
#include "core/metadata.h"
#include "python_errors.h"

#include <pybind11/pybind11.h>

namespace py = pybind11;

PYBIND11_MODULE(_model_file, module) {
    module.doc() = "Model files: what they say about themselves, and whether they are complete.";
    egraff::translate_errors();
    module.attr("CONTRACT") = egraff::CONTRACT;
    module.attr("METADATA_RECORD") = egraff::METADATA_RECORD;
    module.attr("DIGEST_RECORD") = egraff::DIGEST_RECORD;
    module.def(
        "metadata",
        [](const std::string &path) {
            const egraff::Metadata metadata = egraff::read_metadata(path);
            return py::make_tuple(metadata.json, metadata.digest);
        },
        py::arg("path"), R"(Verify a file, and return what it says about itself.

Args:
    path: the exported file, as ``os.fsencode`` gives it.

Returns:
    The text of its metadata (JSON), and the SHA-256 of its content.

Raises:
    ModelFileError: the file is missing, damaged, changed since it was written, not an exported
        model, of another contract, or contradicts itself.
)");
    module.def(
        "is_exported",
        [](const std::string &path) { return egraff::is_exported(egraff::Archive(path)); },
        py::arg("path"), R"(Whether an archive is meant to be an exported model, damaged or not.

Raises:
    ModelFileError: the file is missing, or no complete archive.
)");
    module.def(
        "foreign",
        [](const std::string &path) {
            const egraff::Foreign found = egraff::recognise(egraff::Archive(path));
            return py::make_tuple(found.what, found.fix);
        },
        py::arg("path"), R"(Tell whose an archive is that egraff did not write.

Returns:
    What it is, and what to do; empty where that is not known.

Raises:
    ModelFileError: the file is missing, or no complete archive.
)");
    module.def(
        "foreign_bytes",
        [](const py::bytes &first) {
            const egraff::Foreign found = egraff::recognise_bytes(first);
            return py::make_tuple(found.what, found.fix);
        },
        py::arg("first_bytes"), R"(Tell whose a file is that is no archive, by its beginning.

Returns:
    What it is, and what to do; empty where that is not known.
)");
    module.def(
        "digest",
        [](const std::string &path) {
            const egraff::Archive archive(path);
            return archive.digest(archive.find(egraff::DIGEST_RECORD));
        },
        py::arg("path"), R"(Return the SHA-256 of an archive's content, without the digest in it.

Raises:
    ModelFileError: the file is missing, no complete archive, or a record is compressed.
)");
}
