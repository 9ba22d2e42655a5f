// SPDX-License-Identifier: GPL-2.0-or-later
//
// Model files of other programs, told by what is in them, so that a message can name them.
#pragma once

#include <string>

namespace egraff {

class Archive;

struct Foreign {
    std::string what; // "a model that nequip compiled"; empty where the file is not known
    std::string fix;  // the way to egraff, or that there is none
};

// Goes by names of records and by names of classes in the pickle, which is searched as bytes and
// not opened.
Foreign recognise(const Archive &archive);

// Goes by the first bytes of a file that is no archive.
Foreign recognise_bytes(const std::string &first_bytes);

} // namespace egraff
